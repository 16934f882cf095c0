"""A checksum over the values of an Arrow table, whatever file they are in."""

import json
import zlib
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def checksum(table: pa.Table, version: int) -> int:
    """CRC-32 of the columns' names, types and values.

    Parquet's own checksums cover its pages, but not the footer that says where and what they are. `version`: the
    schema's; in the first one texts were summed as JSON.
    """
    crc = _named([(field.name, str(field.type)) for field in table.schema])
    for column in table.columns:
        for data in _bytes_of(column, version):
            crc = zlib.crc32(data, crc)
    return crc


def column_checksums(table: pa.Table, version: int) -> dict[str, int]:
    """The same of each column alone, by which it is checked where others are not read."""
    sums = {}
    for field, column in zip(table.schema, table.columns, strict=True):
        crc = _named((field.name, str(field.type)))
        for data in _bytes_of(column, version):
            crc = zlib.crc32(data, crc)
        sums[field.name] = crc
    return sums


def _named(what: object) -> int:
    return zlib.crc32(repr(what).encode())


def _bytes_of(column: pa.ChunkedArray, version: int) -> Iterator[bytes | memoryview]:
    """What a column's checksum is taken over, piece by piece: of a large table a copy of it all would be large, too."""
    if pa.types.is_string(column.type):
        if version > 1:
            yield from _text(column)
        else:
            yield json.dumps(column.to_pylist()).encode()
    elif not pa.types.is_null(column.type):
        whole = pa.types.is_timestamp(column.type) or pa.types.is_boolean(column.type)
        numbers = column.cast(pa.int64()) if whole else column
        yield from _raw(pc.is_null(numbers).cast(pa.uint8()))
        yield from _raw(pc.fill_null(numbers, 0) if numbers.null_count else numbers)


def _text(column: pa.ChunkedArray) -> Iterator[bytes | memoryview]:
    """The nulls, lengths and bytes of a column of text."""
    yield from _raw(pc.is_null(column).cast(pa.uint8()))
    yield from _raw(pc.fill_null(pc.binary_length(column), 0).cast(pa.int64()))
    for chunk in column.chunks:
        _, offsets, data = chunk.buffers()
        if data is None or not len(chunk):
            continue
        ends = np.frombuffer(offsets, np.int32, len(chunk) + 1, 4 * chunk.offset)
        if chunk.null_count:  # a null may have bytes that nobody reads
            yield from (text.encode() for text in chunk.to_pylist() if text is not None)
        else:
            yield memoryview(data)[ends[0] : ends[-1]]


def _raw(column: pa.ChunkedArray) -> Iterator[memoryview]:
    """The bytes of a column of numbers without nulls. Not by `to_numpy`, which imports pandas first."""
    width = column.type.bit_width // 8
    for chunk in column.chunks:
        if len(chunk):
            yield memoryview(chunk.buffers()[1])[chunk.offset * width : (chunk.offset + len(chunk)) * width]
