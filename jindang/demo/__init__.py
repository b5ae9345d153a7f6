"""What `jindang demo` shows: examples to take in, and a package that is refused."""
