"""The plain-text explanation that lies beside the packs in an object store."""

from storage_tiers.object_store.names import Names


def readme(names: Names, *, encrypted: bool) -> str:
    """The text, for a person who has the bucket and not this program."""
    return _TEXT.format(prefix=names.prefix, end=".age" if encrypted else "", unlock=_UNLOCK if encrypted else "")


_UNLOCK = """\
Everything of an object is encrypted with age (https://age-encryption.org); with the private key in key.txt:

    find copy -name '*.age' | while IFS= read -r f; do age -d -i key.txt -o "${f%.age}" "$f"; done

"""

_TEXT = """\
This place in an object store is one copy of the records of an archive, kept by Jindang.
It can be read without Jindang, with standard tools, for as long as files can be read.

For each version of each object there are three objects:

  {prefix}<object>/v<N>.zip{end}
        the pack: everything that this version added, as a ZIP file (stored, not compressed)
  {prefix}<object>/v<N>.inventory.json{end}
        which files belong to which version, each with its SHA-512; the same is in the pack
  {prefix}<object>/v<N>.summary.json{end}
        what the object is called, and what was said of it

Unzipped into one folder, the packs of an object are an object of OCFL 1.1 (https://ocfl.io/1.1/spec/).

To get everything:    aws s3 cp --recursive s3://BUCKET/{prefix} copy
                      or rclone copy REMOTE:BUCKET/{prefix} copy
                      (what lies in quarantine/ was found to be bad; canary/ and names with jindang- are no records)

{unlock}\
To find an object:    grep -rl --include='*.summary.json' '规划图' copy     by its title, or what else was said of it
                      grep -rl --include='*.inventory.json' 'J019' copy     by its identifier, or by a file's name

To get it back:       cd into its folder, then, with N the newest version,
                      for p in v*.zip; do LC_ALL=C.UTF-8 unzip -q -^ "$p" -d object; done
                      (a pack without its summary was not finished: leave it out)
                      cp object/vN/inventory.json object/vN/inventory.json.sha512 object/
To prove it:          cd object, then
                      sha512sum -c inventory.json.sha512
                      awk -F'"' '/^  "[0-9a-f]+": \\[/ {{d=$2}} /^   "v[0-9]+\\// {{print d "  " $2}}' inventory.json |
                        sha512sum -c
                      (with sha256 for sha512 where inventory.json says so; a file whose name has a quote, a backslash
                      or a line break in it is compared by hand)

The deposited files are in v1/content/data and, where later versions added some, v2/content/data and so on;
inventory.json says what each is called in each version.

Do not change, rename or add anything here by hand: copy it elsewhere first.

这里是档案馆电子档案的一份完整副本，不依赖任何专用软件即可读取。每个对象的每个版本有三个文件：
v<N>.zip（未压缩的 ZIP，内含该版本新增的全部文件）、v<N>.inventory.json（全部文件及其 SHA-512 值）、
v<N>.summary.json（题名等说明）。将一个对象的所有 zip 解压到同一目录，即为符合 OCFL 1.1 标准的对象。
请勿在此处修改、改名或添加文件；如需使用，请先复制到别处。
"""
