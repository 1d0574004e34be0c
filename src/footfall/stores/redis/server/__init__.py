"""How Redis is reached: its URL, connections, the routing in a cluster, and what its errors mean."""
