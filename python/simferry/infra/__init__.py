"""Infrastructure in an AWS account, as stacks of CloudFormation: what runs need, made by one command and removed by one.

import simferry as sf

sf.infra.deploy()     # bucket, image repository, roles, and queues of AWS Batch; asks first, unless yes=True
sf.infra.show()       # what is there, what runs now, what it costs
sf.infra.list_all()   # all that simferry has made in the account, whatever made it
sf.infra.delete()     # all of it but the bucket with results; data=True deletes that too
sf.infra.rstudio.deploy(accept_licence=True)   # RStudio on a machine of EC2; open() connects it to http://localhost:8787
"""

from . import rstudio as rstudio
from .deployment import deploy as deploy
from .inventory import Infrastructure as Infrastructure
from .inventory import show as show
from .listing import Listing as Listing
from .listing import list_all as list_all
from .pruning import Pruned as Pruned
from .pruning import prune_images as prune_images
from .removal import delete as delete
from .templates import template as template

__all__ = [
    "Infrastructure", "Listing", "Pruned", "delete", "deploy", "list_all", "prune_images", "rstudio", "show", "template",
]  # fmt: skip
