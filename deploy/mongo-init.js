// Runs once, in a new database: the user that coordinator and workers log in as.
db.getSiblingDB("hyperhive").createUser({
  user: "hyperhive",
  pwd: process.env.HYPERHIVE_PASSWORD,
  roles: ["readWrite"],
});
