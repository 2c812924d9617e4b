"""Airbyte's tests of a connector's image. A stand-in for `docker` runs the program instead."""

from airbyte_cdk.test.standard_tests.docker_base import DockerConnectorTestSuite


class TestImage(DockerConnectorTestSuite):
    pass
