"""Infrastructure in an AWS account, as a stack of CloudFormation: what runs need, made by one command and removed by one.

import simferry as sf

sf.infra.deploy()     # bucket, image repository and roles; asks first, unless yes=True
sf.infra.show()       # what is there, what runs now, what it costs
sf.infra.delete()     # all of it but the bucket with results; data=True deletes that too
"""

from .deployment import deploy as deploy
from .inventory import Infrastructure as Infrastructure
from .inventory import show as show
from .removal import delete as delete
from .templates import template as template

__all__ = ["Infrastructure", "delete", "deploy", "show", "template"]
