"""TensorBoard's HParams page without its browser: the plugin's own HTTP handlers over real event files."""

from tensorboard.backend.event_processing import data_provider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams.hparams_plugin import HParamsPlugin
from werkzeug.test import Client

STATUSES = ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"]
LISTED = 10
"""The page's own script lists fewer discrete values than this, and asks for a pattern from as many on."""


class HParamsPage:
    def __init__(self, logdir):
        events = EventMultiplexer()
        events.AddRunsFromDirectory(str(logdir))
        events.Reload()
        provider = data_provider.MultiplexerDataProvider(events, str(logdir))
        self.apps = HParamsPlugin(TBContext(data_provider=provider, logdir=str(logdir))).get_plugin_apps()

    def ask(self, route, request):
        response = Client(self.apps[route]).post("/", json=request)
        assert response.status_code == 200, response.get_data(as_text=True)
        return response.get_json()

    def declared(self):
        """The declaration of each key, in the page's order."""
        return {info["name"]: info for info in self.ask("/experiment", {"experimentName": "0"})["hparamInfos"]}

    def rows(self, *columns):
        """The page's rows: the session groups, with the given columns' sorting and filters."""
        request = {"experimentName": "0", "allowedStatuses": STATUSES, "startIndex": 0, "sliceSize": 100000}
        found = self.ask("/session_groups", {**request, "colParams": list(columns)})
        return found.get("sessionGroups", [])

    def sorted(self, key, order="ORDER_ASC"):
        return self.rows({"hparam": key, "order": order})

    def filters(self, info, everything):
        """What the page sends for a key when all is chosen but its first value, and the values that then stay."""
        key, discrete = info["name"], info.get("domainDiscrete")
        values = [row["hparams"].get(key) for row in everything]
        if discrete is not None and len(discrete) < LISTED:
            kept = discrete[1:]
            yield (
                {"hparam": key, "filterDiscrete": kept, "excludeMissingValues": True},
                [v for v in values if v in kept],
            )
        elif discrete is not None:
            yield (
                {"hparam": key, "filterRegexp": f"^{discrete[0]}$", "excludeMissingValues": True},
                [v for v in values if v == discrete[0]],
            )
        else:
            assert info["type"] == "DATA_TYPE_FLOAT64", info
            least, most = info["domainInterval"].get("minValue", 0), info["domainInterval"].get("maxValue", 0)
            middle = (least + most) / 2
            bounds = {"minValue": middle, "maxValue": most}
            yield (
                {"hparam": key, "filterInterval": bounds, "excludeMissingValues": True},
                [v for v in values if v is not None and middle <= v <= most],
            )

    def use_every_column(self):
        """Sort by each declared key both ways and filter by it, as a user does; all answers must be right."""
        everything = self.rows()
        types = {"DATA_TYPE_STRING": str, "DATA_TYPE_FLOAT64": int | float, "DATA_TYPE_BOOL": bool}
        for key, info in self.declared().items():
            values = [row["hparams"].get(key) for row in everything]
            known = [value for value in values if value is not None]
            assert all(isinstance(value, types[info["type"]]) for value in known), key
            missing = [None] * (len(values) - len(known))
            assert [row["hparams"].get(key) for row in self.sorted(key)] == sorted(known) + missing, key
            down = [row["hparams"].get(key) for row in self.sorted(key, "ORDER_DESC")]
            assert down == sorted(known, reverse=True) + missing, key
            for column, expected in self.filters(info, everything):
                found = [row["hparams"].get(key) for row in self.rows(column)]
                assert sorted(found) == sorted(expected), key
