"""TensorBoard's records that its own helpers write only where TensorFlow is installed."""

import time
from typing import Any

from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.custom_scalar import metadata as custom_scalar
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
from tensorboard.plugins.text.summary_v2 import text_pb
from tensorboard.util.tensor_util import make_tensor_proto

from tune_at.store.status import Status

SESSION_STATUS = {
    Status.COMPLETED: api_pb2.STATUS_SUCCESS,
    Status.STOPPED: api_pb2.STATUS_SUCCESS,
    Status.DIVERGED: api_pb2.STATUS_FAILURE,
    Status.FAILED: api_pb2.STATUS_FAILURE,
}
"""What the HParams page calls a trial that has ended. It knows no other words: a hyperparameter says ours."""


def scalar_summary(values: "dict[str, float]") -> Summary:
    """Points of one step, by their tags."""
    return Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])


def text_summary(tag: str, markdown: str) -> Summary:
    """A text of the page Text."""
    return text_pb(tag, markdown)


def code_summary(tag: str, text: str) -> Summary:
    """A text that is shown as it is, line by line."""
    return text_summary(tag, "".join(f"    {line}\n" for line in text.splitlines()))


def experiment_summary(experiment: "api_pb2.Experiment") -> Summary:
    """The declaration of the HParams page's columns."""
    return _hparams_summary(metadata.EXPERIMENT_TAG, experiment=experiment)


def session_end_summary(status: Status) -> Summary:
    """The record that ends a session on the HParams page."""
    end = plugin_data_pb2.SessionEndInfo(status=SESSION_STATUS[status], end_time_secs=time.time())
    return _hparams_summary(metadata.SESSION_END_INFO_TAG, session_end_info=end)


def layout_summary(layout: "dict[str, dict[str, list[str]]]", opened: int) -> Summary:
    """The page Custom scalars.

    Args:
        layout: patterns of tags by the chart that shows them, by category.
        opened: how many of the categories are shown at first; the others have to be clicked at.
    """
    categories = []
    for number, (title, charts) in enumerate(layout.items()):
        drawn = [
            layout_pb2.Chart(title=name, multiline=layout_pb2.MultilineChartContent(tag=tags))
            for name, tags in charts.items()
        ]
        categories.append(layout_pb2.Category(title=title, chart=drawn, closed=number >= opened))
    tensor = make_tensor_proto(layout_pb2.Layout(category=categories).SerializeToString())
    tag, about = custom_scalar.CONFIG_SUMMARY_TAG, custom_scalar.create_summary_metadata()
    return Summary(value=[Summary.Value(tag=tag, metadata=about, tensor=tensor)])


def _hparams_summary(tag: str, **content: Any) -> Summary:
    data = plugin_data_pb2.HParamsPluginData(version=metadata.PLUGIN_DATA_VERSION, **content)
    plugin = SummaryMetadata.PluginData(plugin_name=metadata.PLUGIN_NAME, content=data.SerializeToString())
    return Summary(value=[Summary.Value(tag=tag, metadata=SummaryMetadata(plugin_data=plugin))])
