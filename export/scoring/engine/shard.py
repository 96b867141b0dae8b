"""Which rows of a job one process scores."""

import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class Shard:
    """Shard `number` (from 1) of `count`."""

    number: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Reads `i/n`; an empty text is the whole job.

        Raises:
            ValueError: unless 1 <= i <= n.
        """
        match = re.fullmatch(r"(\d+)/(\d+)", text or "1/1")
        shard = cls(*map(int, match.groups())) if match else None
        if shard is None or not 1 <= shard.number <= shard.count:
            raise ValueError(
                f"--shard must be i/n with i from 1 to n, such as 1/4 to 4/4, got {text!r}."
            )
        return shard

    def rows(self, total: int, batch_size: int) -> range:
        """The shard's rows of a job of `total`.

        Shards begin where batches begin: so every row has the same place in the same batch,
        and the same bytes, whatever the number of shards.
        """
        batches = -(-total // batch_size)
        first, last = (batches * n // self.count for n in (self.number - 1, self.number))
        return range(min(first * batch_size, total), min(last * batch_size, total))

    @property
    def folder_name(self) -> str:
        """Where its parts lie in the folder of the job."""
        return f"shard-{self.number}-of-{self.count}"

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"
