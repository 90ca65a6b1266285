"""Conformance: a scenario's checks run over any deployed service, without a test framework."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from labcore.lanes.contract import Check, Site


class NotApplicableError(Exception):
    """Raised by a check that this site cannot undergo, such as a restart of a foreign service."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check found. `detail` is the check's claim if it passed, else what was seen instead.

    `passed` is False for a check that is not applicable: nothing was shown.
    """

    name: str
    passed: bool
    detail: str
    seconds: float
    applicable: bool = True


def conform(
    site: Site,
    checks: Iterable[Check],
    *,
    on_result: Callable[[CheckResult], object] | None = None,
) -> list[CheckResult]:
    """Run the checks in their order; one that fails does not keep the next from running.

    Any exception of a check is its failure, since a service may break the client in many ways. A check
    is not applicable where it raises `NotApplicableError`. After a restart by one check the next find
    the service at its new address.
    """
    results = []
    whereabouts = _Whereabouts(site)
    for check in checks:
        result = _judge(check, whereabouts.site())
        results.append(result)
        if on_result is not None:
            on_result(result)
    return results


class _Whereabouts:
    """The site at its present address: a check may restart the service, and restarts may move it."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def site(self) -> Site:
        if self._site.restart is None:
            return self._site
        return replace(self._site, restart=self._restart)

    def _restart(self) -> str:
        restart = self._site.restart
        assert restart is not None
        self._site = replace(self._site, url=restart())
        return self._site.url


def _judge(check: Check, site: Site) -> CheckResult:
    name = check.__name__
    began_s = time.monotonic()
    passed, applicable = False, True
    try:
        check(site)
    except NotApplicableError as exc:
        applicable, detail = False, str(exc)
    except AssertionError as exc:
        detail = str(exc) or "the assertion says nothing"
    except Exception as exc:  # noqa: BLE001 - reported as the check's result
        detail = f"{type(exc).__name__}: {exc}"
    else:
        passed, detail = True, (check.__doc__ or "").strip().partition("\n")[0]
    return CheckResult(
        name=name,
        passed=passed,
        detail=detail,
        seconds=time.monotonic() - began_s,
        applicable=applicable,
    )
