"""What each scheduler decides, as functions of the board."""

from tune_at.config.scheduler import SCHEDULERS
from tune_at.study import Study
from tune_at.tuning.policies.base import Policy


def build_policy(study: Study) -> Policy:
    """The policy of a study's scheduler."""
    policy: Policy = SCHEDULERS[study.scheduler.name].load()(study)
    return policy
