"""What each scheduler decides, as functions of the board."""

from tune_at.config.scheduler import SCHEDULERS
from tune_at.scheduling.policies.base import Policy
from tune_at.study.study import Study


def build_policy(study: Study) -> Policy:
    """The policy of a study's scheduler."""
    policy: Policy = SCHEDULERS[study.scheduler.name].load()(study)
    return policy
