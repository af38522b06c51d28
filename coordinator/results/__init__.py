"""A study's results in and out: as a table, as a file, beside other studies, as hyperopt's."""
