"""What clients want to be told of the files beside them: one module a client, from the files' records to JSON."""
