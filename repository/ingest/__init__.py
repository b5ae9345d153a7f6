"""Package -> checked -> durable object -> catalogue."""
