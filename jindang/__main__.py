"""`jindang` and `python -m jindang`."""

from jindang.cli import main

if __name__ == "__main__":
    main()
