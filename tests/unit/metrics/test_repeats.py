"""Mean, error and interval of repeated measurements, against SciPy and by hand."""

import pytest
from scipy import stats

from earsight.errors import InputError
from earsight.metrics.repeats import T_975, repeated


def test_a_case_by_hand_and_scipys_quantiles() -> None:
    found = repeated([0.90, 0.92, 0.94, 0.96, 0.98])
    error = 0.03162277660168379 / 5**0.5
    assert found.mean == pytest.approx(0.94, abs=1e-12)
    assert found.standard_error == pytest.approx(error, abs=1e-12)
    assert found.interval_95 == pytest.approx((0.94 - 2.776 * error, 0.94 + 2.776 * error))
    for place, value in enumerate(T_975):
        assert value == pytest.approx(float(stats.t.ppf(0.975, place + 1)), abs=5e-4)


def test_one_has_no_error_and_none_no_mean() -> None:
    assert repeated([0.5]).standard_error is None
    for values in ([], [0.5, float("nan")]):
        with pytest.raises(InputError, match="finite"):
            repeated(values)
