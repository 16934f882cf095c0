"""A checksum over the values of an Arrow table, whatever file they are in."""

import json
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def checksum(table: pa.Table, version: int) -> int:
    """CRC-32 of the columns' names, types and values.

    Parquet's own checksums cover its pages, but not the footer that says where and what they are. `version`: the
    schema's; in the first one texts were summed as JSON.
    """
    crc = zlib.crc32(repr([(field.name, str(field.type)) for field in table.schema]).encode())
    for column in table.columns:
        if pa.types.is_string(column.type):
            data = _text(column) if version > 1 else json.dumps(column.to_pylist()).encode()
        elif pa.types.is_null(column.type):
            data = b""
        else:
            whole = pa.types.is_timestamp(column.type) or pa.types.is_boolean(column.type)
            numbers = column.cast(pa.int64()) if whole else column
            data = _raw(pc.is_null(numbers).cast(pa.uint8())) + _raw(pc.fill_null(numbers, 0))
        crc = zlib.crc32(data, crc)
    return crc


def _text(column: pa.ChunkedArray) -> bytes:
    """The nulls, lengths and bytes of a column of text."""
    missing = _raw(pc.is_null(column).cast(pa.uint8()))
    lengths = _raw(pc.fill_null(pc.binary_length(column), 0).cast(pa.int64()))
    texts = []
    for chunk in column.chunks:
        _, offsets, data = chunk.buffers()
        if data is None or not len(chunk):
            continue
        ends = np.frombuffer(offsets, np.int32, len(chunk) + 1, 4 * chunk.offset)
        if chunk.null_count:  # a null may have bytes that nobody reads
            texts += [text.encode() for text in chunk.to_pylist() if text is not None]
        else:
            texts.append(memoryview(data)[ends[0] : ends[-1]].tobytes())
    return missing + lengths + b"".join(texts)


def _raw(column: pa.ChunkedArray) -> bytes:
    """The bytes of a column of numbers without nulls. Not by `to_numpy`, which imports pandas first."""
    width, parts = column.type.bit_width // 8, []
    for chunk in column.chunks:
        if len(chunk):
            parts.append(memoryview(chunk.buffers()[1])[chunk.offset * width : (chunk.offset + len(chunk)) * width])
    return b"".join(parts)
