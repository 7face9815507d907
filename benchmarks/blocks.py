"""What a measuring process is asked, and what it answers: the raw figures behind all statistics."""

import msgspec

# Fewer calls than this say nothing of a tail.
MIN_CALLS = 20
# What throughput is measured with; the runtime's own batch size.
BATCH = 32
# A process, Python's modules and the file.
START_S = 0.6


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One block to measure. `pictures` is an `.npy` file of uint8 pixels at the model's input size.

    `warmup` is how many leading calls may be dropped at most; `throughput_s` how long batches of each of the sizes in
    `batches` are run; `files` are picture files, whose stages are timed apart; `paced_ms` is the time from one paced
    call to the next, None for no such calls. The process is bound to the cores in `affinity`, where there are any.
    `labels` and `input_range` are for a model without a contract.
    """

    model: str
    pictures: str
    threads: int
    warmup: int = 20
    calls: int = 100
    throughput_s: float = 1.0
    batches: tuple[int, ...] = (BATCH,)
    files: tuple[str, ...] = ()
    paced_ms: float | None = None
    affinity: tuple[int, ...] = ()
    labels: tuple[str, ...] | None = None
    input_range: tuple[float, float] | None = None

    @property
    def expected_s(self) -> float:
        """Roughly how long the block will take, for a progress bar; a call is taken to last 3 ms."""
        calls = (self.calls + 4 * len(self.files)) * 3e-3
        paced = self.calls * self.paced_ms / 1e3 if self.paced_ms is not None else 0.0
        return START_S + calls + paced + len(self.batches) * max(self.throughput_s, 0.1)

    def __post_init__(self) -> None:
        if self.threads < 1 or self.warmup < 0 or self.throughput_s < 0 or min(self.batches, default=1) < 1:
            raise ValueError(f"Expected threads and batches >= 1, warmup and throughput_s >= 0, got {self}.")
        if self.paced_ms is not None and self.paced_ms <= 0:
            raise ValueError(f"Expected paced_ms > 0, got {self.paced_ms}.")
        if self.calls < MIN_CALLS:
            raise ValueError(f"Expected at least {MIN_CALLS} calls a block, got {self.calls}.")


class Batches(msgspec.Struct, frozen=True, kw_only=True):
    """Pictures answered in batches of one size, one batch after the other, and the seconds that they took together."""

    batch: int
    images: int
    seconds: float

    @property
    def images_per_s(self) -> float:
        """The offline throughput at this batch size."""
        return self.images / self.seconds


class Stages(msgspec.Struct, frozen=True, kw_only=True):
    """From a picture file to its best labels: nanoseconds a picture, each stage alone and all of them in one call.

    `enter_ns` turns pixels into the input tensor (quantises them), `invoke_ns` runs the graph, `top_ns` turns the
    output tensor into the best labels. `together_ns` is `Classifier.classify` of the same file.
    """

    decode_ns: tuple[int, ...]
    resize_ns: tuple[int, ...]
    enter_ns: tuple[int, ...]
    invoke_ns: tuple[int, ...]
    top_ns: tuple[int, ...]
    together_ns: tuple[int, ...]


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """What one fresh process measured. Nothing in here is averaged.

    `import_ms` is importing `edgeproof.runtime`; `load_ms` making the `Classifier`, with LiteRT's library, of which
    `interpreter_ms` is importing that library and making its interpreter, and `allocate_ms` allocating the tensors;
    `samples_ns` one picture a call, warm; `warm_up_ns` the calls before them, which were dropped; `paced_ns` the calls
    with pauses between them; `images_per_s` is that of batches of 32, 0 where there were none; memory is resident, its
    peak without the batches. `affinity` are the cores that the process was bound to, none where it was not.
    """

    import_ms: float
    load_ms: float
    first_answer_ms: float
    samples_ns: tuple[int, ...]
    images_per_s: float
    rss_before_mb: float
    rss_loaded_mb: float
    rss_peak_mb: float
    interpreter_ms: float = 0.0
    allocate_ms: float = 0.0
    warm_up_ns: tuple[int, ...] = ()
    paced_ns: tuple[int, ...] = ()
    offline: tuple[Batches, ...] = ()
    stages: Stages | None = None
    affinity: tuple[int, ...] = ()

    @property
    def read_ms(self) -> float:
        """Reading the file and checking it: what of `load_ms` is not LiteRT's."""
        return self.load_ms - self.interpreter_ms - self.allocate_ms


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """The blocks of one file at one number of threads, in the order they were run."""

    threads: int
    blocks: tuple[Block, ...]

    @property
    def samples_ns(self) -> tuple[int, ...]:
        """Every warm call of every block, in order."""
        return tuple(sample for block in self.blocks for sample in block.samples_ns)

    @property
    def paced_ns(self) -> tuple[int, ...]:
        """Every paced call of every block, in order."""
        return tuple(sample for block in self.blocks for sample in block.paced_ns)
