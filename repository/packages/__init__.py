"""Readers of what arrives: a folder of files, a BagIt bag, an archive of either."""
