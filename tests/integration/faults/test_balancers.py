"""The examples for nginx and Caddy do what they promise: they deal out, stream, tell the client's address, and repeat nothing."""

from __future__ import annotations

from collections.abc import Sequence

from tests.integration.faults.balancing import BalancerClaims
from tests.support.servers.balancers import ExampleBalancer, ExampleCaddy, ExampleNginx


class TestNginx(BalancerClaims):
    """deploy/balancers/nginx.conf"""

    def balancer(self, instances: Sequence[int]) -> ExampleBalancer:
        return ExampleNginx(instances)


class TestCaddy(BalancerClaims):
    """deploy/balancers/Caddyfile"""

    def balancer(self, instances: Sequence[int]) -> ExampleBalancer:
        return ExampleCaddy(instances)
