"""The command line: the only place that knows options, colours and exit codes."""
