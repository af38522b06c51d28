"""The MongoDB server: the client, this machine's private mongod, logins and roles."""
