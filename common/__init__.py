"""General tools that every other folder may import, and that import no other folder.

``errors`` (the base of every expected error), ``values`` (checks of untrusted JSON or BSON),
``text`` (made fit for a screen and the database), ``files`` (files that appear whole or not at
all), ``locks`` (between processes), ``paths`` (this user's folders), ``signals`` (stopping in good
order), ``console`` (what commands print), ``streams`` (their encoding, and logs), ``wording``
(numbers as people read them), ``fonts`` (for pictures) and ``extras`` (packages that may be
missing). All of it is public to the other folders.
"""
