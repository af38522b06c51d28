"""The commands of the coordinator: their options, each handed to the module that works."""
