"""What the demo shows, and for how long."""

from dataclasses import dataclass, field

from demo.trainer import TrainerConfig
from export.checks import require_finite
from export.errors import ConfigError

__all__ = ["DemoConfig", "PageConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageConfig:
    """The demo in a browser of this machine."""

    port: int = 8087  # on 127.0.0.1; 0, or one that is taken: any free one, which is said
    open: bool = True  # in the browser, where there is a display

    def __post_init__(self) -> None:
        """ConfigError for what is no port."""
        require_finite(self)
        if not 0 <= self.port <= 65_535:
            raise ConfigError(f"the page's port must be 0 to 65535, not {self.port}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoConfig:
    """What the demo shows, and for how long."""

    seconds: float | None = None  # of live shopping, a little more until the fresh model is seen; None: until Ctrl-C
    seed: int = 0  # of the shop, its shoppers and the training
    live: bool = True  # draw on the terminal (stderr); else print a line now and then
    items: int = 2_000  # of the shop
    history_sessions: int = 30_000  # in the shop's log, the first model's data: about 270,000 clicks
    history_days: int = 12  # they are spread over
    shift_after: float | None = None  # seconds of shopping, after which the shop is another one; None: never
    clicks_per_s: float = 300.0  # of live shoppers; training and cluster share the machine
    think_s: float = 2.0  # mean seconds between two clicks of a live shopper: real ones take longer, viewers don't
    k: int = 20  # items in a list
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    ready_s: float = 60.0  # a worker needs about 5 s to serve
    refresh_grace_s: float = 120.0  # after `seconds`, for a fresh model that is still on its way
    linger_s: float = 3.0  # shopping goes on for so long after lists of the first and of a fresh model were compared
    drain_s: float = 30.0  # for the last answers
    page: PageConfig | None = None  # a shop in the browser as well; None: the terminal alone
    compare: bool = True  # begin the experiment as soon as two models were served; else whoever looks at the page may

    def __post_init__(self) -> None:
        """ConfigError for a number that is none."""
        require_finite(self)
