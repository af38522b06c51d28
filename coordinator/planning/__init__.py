"""What a study is asked to be: its plan, study files, rules that stop it, what objectives need."""
