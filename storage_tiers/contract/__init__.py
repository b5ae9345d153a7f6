"""The promises of the port as checks that run on any tier, ours in tests and a user's by `jindang tier validate`."""
