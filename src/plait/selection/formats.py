"""Numbers as people read them, alike in the report and in the terminal."""

from __future__ import annotations

from plait.evaluation.statistics import Comparison, Interval


def score(value: float) -> str:
    """Four decimals, with a real minus.

    >>> score(-0.12345)
    '−0.1235'
    """
    return _minus(f"{value:.4f}")


def signed(value: float, digits: int = 4) -> str:
    """A difference: its sign always shows, unless it rounds to nothing.

    >>> signed(0.0123), signed(-0.5), signed(-1e-9)
    ('+0.0123', '−0.5000', '0.0000')
    """
    text = f"{value:+.{digits}f}"
    return _minus(text) if float(text) else text[1:]


def span(interval: Interval | Comparison) -> str:
    """Both ends of an interval.

    >>> span(Interval(0.5, 0.75))
    '0.5000 to 0.7500'
    """
    write = signed if isinstance(interval, Comparison) else score
    return f"{write(interval.low)} to {write(interval.high)}"


def p_value(value: float) -> str:
    """A p-value; below a thousandth only that is said.

    >>> p_value(0.0004), p_value(0.0213), p_value(0.31234), p_value(1.0)
    ('< 0.001', '0.021', '0.31', '1.00')
    """
    if value < 0.001:
        return "< 0.001"
    return f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def milliseconds(value: float) -> str:
    """Three significant digits.

    >>> milliseconds(0.012345), milliseconds(3.456), milliseconds(1234.5)
    ('0.0123', '3.46', '1,234')
    """
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.{1 if value >= 10 else 2 if value >= 1 else 3 if value >= 0.1 else 4}f}"


def megabytes(value: int) -> str:
    """Bytes of weights or of memory, in megabytes of 10⁶.

    >>> megabytes(90_868_376), megabytes(350_000)
    ('90.9 MB', '0.35 MB')
    """
    size = value / 1e6
    return f"{size:,.0f} MB" if size >= 100 else f"{size:.1f} MB" if size >= 1 else f"{size:.2f} MB"


def binary_size(value: int) -> str:
    """Bytes of a vector, short enough for an axis.

    >>> binary_size(48), binary_size(2048), binary_size(1536)
    ('48 B', '2 KiB', '1.5 KiB')
    """
    return f"{value:,} B" if value < 1024 else f"{value / 1024:g} KiB"


def duration(seconds: float) -> str:
    """Wall time.

    >>> duration(3.21), duration(125), duration(7260)
    ('3.2 s', '2 min 5 s', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def share(value: float) -> str:
    """Per cent; a little is never nothing.

    >>> share(0.0), share(0.0004), share(0.125)
    ('0 %', '0.04 %', '12.5 %')
    """
    percent = 100 * value
    if percent and percent < 0.1:
        return f"{max(percent, 0.01):.2f} %"
    return f"{percent:.1f}".removesuffix(".0") + " %"


def count(number: int, noun: str) -> str:
    """A number of things.

    >>> count(1, "text"), count(1200, "text")
    ('1 text', '1,200 texts')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _minus(text: str) -> str:
    return text.replace("-", "−")
