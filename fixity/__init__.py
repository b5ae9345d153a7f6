"""What to audit next, verify one copy, audit runs, quarantine and repair."""
