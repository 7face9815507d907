"""What a measuring process is asked, and what it answers: the raw figures behind all statistics."""

import msgspec

# Fewer calls than this say nothing of a tail.
MIN_CALLS = 20
# What throughput is measured with; the runtime's own batch size.
BATCH = 32


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One block to measure. `pictures` is an `.npy` file of uint8 pixels at the model's input size.

    `labels` and `input_range` are for a model without a contract; `throughput_s` is how long batches are run.
    """

    model: str
    pictures: str
    threads: int
    warmup: int = 5
    calls: int = 100
    throughput_s: float = 1.0
    labels: tuple[str, ...] | None = None
    input_range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.threads < 1 or self.warmup < 0 or self.throughput_s < 0:
            raise ValueError(f"Expected threads >= 1, warmup and throughput_s >= 0, got {self}.")
        if self.calls < MIN_CALLS:
            raise ValueError(f"Expected at least {MIN_CALLS} calls a block, got {self.calls}.")


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """What one fresh process measured. Nothing in here is averaged.

    `import_ms` is importing `edgeproof.runtime`; `load_ms` making the `Classifier`, with LiteRT's library;
    `samples_ns` one picture a call, warm; memory is resident, its peak without the batches of the throughput.
    """

    import_ms: float
    load_ms: float
    first_answer_ms: float
    samples_ns: tuple[int, ...]
    images_per_s: float
    rss_before_mb: float
    rss_loaded_mb: float
    rss_peak_mb: float


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """The blocks of one file at one number of threads, in the order they were run."""

    threads: int
    blocks: tuple[Block, ...]

    @property
    def samples_ns(self) -> tuple[int, ...]:
        """Every warm call of every block, in order."""
        return tuple(sample for block in self.blocks for sample in block.samples_ns)
