"""A client of HTTP for looking again and again."""

import httpx

#: `httpx.get` loads the system's certificates anew each time: 20 ms of CPU that what is waited for
#: would rather have. It keeps no connections, as whoever is at the other end may be killed.
http = httpx.Client(trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))
