"""The example for Traefik keeps the promises of the others. Traefik comes with what the pipeline is checked with."""

from __future__ import annotations

from collections.abc import Sequence

from tests.integration.faults.balancing import BalancerClaims
from tests.pipeline.programs import program
from tests.support.servers.balancers import ExampleBalancer, ExampleTraefik


class TestTraefik(BalancerClaims):
    """deploy/balancers/traefik.yml and traefik-footfall.yml"""

    tries_another = False

    def balancer(self, instances: Sequence[int]) -> ExampleBalancer:
        return ExampleTraefik(instances, program("traefik"))
