"""One cycle of the trainer: from the clicks of a window to a version, or to the reasons why there is none.

Steps: 1 hold the newest sessions out, 2 train on the rest, 3 export, 4 gate (candidate, live model, baselines on what
was held out), 5 refit with the newest sessions, 6 guard the refit, 7 publish. What a step leaves behind lies in the
cycle's folder, so that a cycle that was killed goes on where it was; and the manifest names the cycle, so that none
publishes twice.

    <folder>/candidate/   checkpoints of step 2
    <folder>/gate.json    the judgement, once there is one
    <folder>/refit/       checkpoints of step 5
"""

from __future__ import annotations

import dataclasses
import functools
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from export.bundle.bundle import Bundle, load_bundle
from export.bundle.manifest import Lineage, Manifest, Refit
from export.errors import BundleError, NextclickError, ParityError, VersionUnknown
from export.ranking.ranker import Ranker, RankerConfig
from model.auto.window import for_window
from model.beginning import told_of
from model.bundling import export_bundle, with_manifest
from model.cards.card import curves_of, described, model_card
from model.cards.measure import Measured, measured
from model.cards.write import write_card
from model.cycle.fresh import fresh_log, fresh_parts, fresh_preset
from model.cycle.gate import GateReport, KeptGate, pass_gate
from model.cycle.lineage import code_version, commit, layer_of, published_by
from model.cycle.refit import guarded, refit
from model.cycle.request import CycleRequest, CycleResult
from model.data.known_items import KnownItems, features_of, read_known_items
from model.data.log import SessionLog
from model.data.readers.build import build_log
from model.data.split import Parts, part
from model.errors import LeadLost, TrainingError
from model.evaluate.metrics import MAIN
from model.learn.committee import train_preset
from model.learn.trained import Trained
from model.machine.memory import release_memory
from model.machine.threads import use_threads
from model.nets.config import TowerConfig
from model.reports.progress import OnProgress, Progress, ignore

__all__ = ["Cycle", "run_cycle"]

_GATE = "gate.json"
_CARD_SESSIONS = 2_000  # by which a card breaks figures down


def run_cycle(request: CycleRequest, on_progress: OnProgress = ignore) -> CycleResult:
    """Do what is left of a cycle. DataError where the window holds too little; TrainingError, CheckpointError and
    ParityError of a training; RegistryError; LeadLost where another trainer leads now; Interrupted by a signal."""
    return Cycle(request, on_progress).run()


class Cycle:
    """The steps, one method each."""

    def __init__(self, request: CycleRequest, on_progress: OnProgress = ignore) -> None:
        self._request, self._on_progress = request, on_progress
        self._began = time.monotonic()
        self._preset = fresh_preset(request.preset, request.fresh) if request.mode == "fresh" else request.preset
        self._threads = request.preset.train.threads
        self._items: KnownItems | None = None
        self._candidate, self._refit = request.folder / "candidate", request.folder / "refit"

    def run(self) -> CycleResult:
        """All steps that are not done yet."""
        if (version := published_by(self._request.registry, self._request.cycle)) is not None:
            return self._published_before(version)
        if (version := self._request.registry.removed_of(self._request.cycle)) is not None:
            return self._removed_since(version)
        self._request.folder.mkdir(parents=True, exist_ok=True)
        use_threads(self._threads)
        self._items = self._read_items()
        parts = self._hold_out()  # 1
        trained = self._train(parts)  # 2
        with tempfile.TemporaryDirectory(prefix="nextclick-cycle-") as staging:
            bundle = self._export(trained, parts.log, parts.valid, Path(staging) / "candidate")  # 3
            gate, live = self._judge(bundle, parts)  # 4
            if not gate.passed:
                return self._result(None, gate, None)
            card = self._card(bundle, trained, parts, gate)
            bundle = with_manifest(bundle, msgspec.structs.replace(bundle.manifest, valid=gate.candidate))
            found = None
            if self._request.refit is not None:
                bundle, found = self._refitted(trained, bundle, parts, gate, Path(staging) / "refit")  # 5, 6
            return self._publish(bundle, gate, live, found, card)  # 7

    def _hold_out(self) -> Parts:
        request = self._request
        if request.mode == "full":
            return part(request.raw, min_support=request.min_support)
        return fresh_parts(request.raw, request.since_ts, request.fresh, min_support=request.min_support)

    def _train(self, parts: Parts) -> Trained:
        request = self._request
        log = self._chosen(parts.log)
        self._say(
            "train", f"{log.sessions:,} sessions, {len(log.vocabulary):,} items; {parts.valid.sessions:,} held out"
        )
        release_memory()
        self._preset = for_window(self._preset, log, parts.valid, self._on_progress, whole=request.mode == "full")
        return train_preset(
            log,
            parts.valid.thinned(self._preset.train.valid_sessions),
            self._preset,
            run=self._name("candidate"),
            directory=self._candidate,
            init_from=request.parent,
            on_progress=self._on_progress,
            items=features_of(self._items, log.vocabulary, self._on_progress),
        )

    def _read_items(self) -> KnownItems | None:
        path, tower = self._request.items, self._preset.tower
        if self._preset.codes is not None:  # items without a click are coded by their attributes
            tower = TowerConfig()
        return None if path is None or tower is None else read_known_items(path, tower, self._on_progress)

    def _chosen(self, log: SessionLog) -> SessionLog:
        """What a training sees of a window."""
        request = self._request
        if request.mode == "full":
            return log
        return fresh_log(log, request.since_ts, request.fresh, seed=request.preset.train.seed)

    def _export(
        self,
        trained: Trained,
        log: SessionLog,
        valid: SessionLog,
        folder: Path,
        afterwards: Mapping[str, Any] | None = None,
    ) -> Bundle:
        """log: the whole window's, whose items, popularity and times are stated; afterwards: a refit's candidate's."""
        folder.mkdir(parents=True, exist_ok=True)
        self._say("export", "the graph is written, and checked beside the encoder")
        return export_bundle(
            trained,
            log,
            valid,
            self._preset,
            {},
            folder,
            self._on_progress,
            scoring=self._request.scoring,
            items=self._items,
            afterwards=afterwards,
            before=layer_of(self._request.registry, self._request.parent_version if self._request.parent else ""),
        )

    def _judge(self, bundle: Bundle, parts: Parts) -> tuple[GateReport, str]:
        """The judgement, of before a kill where there is one, and the version that was live then."""
        file = self._request.folder / _GATE
        if file.exists():
            try:
                kept = msgspec.json.decode(file.read_bytes(), type=KeptGate)
                return kept.gate, kept.live
            except msgspec.MsgspecError:  # half a file: judged again
                file.unlink()
        live, why = self._live()
        newest = build_log(parts.newest).thinned(self._preset.train.valid_sessions)  # with items nobody has learned
        candidate = Ranker(bundle, RankerConfig(threads=self._threads))
        say = lambda text: self._say("gate", text)  # noqa: E731
        gate = pass_gate(candidate, live, parts.log, newest, self._request.gate, seed=self._preset.train.seed, say=say)
        if why:
            gate = dataclasses.replace(gate, reasons=(*gate.reasons, why))
        kept = KeptGate(gate=gate, live=live.version if live is not None else "")
        partial = file.with_suffix(".partial")
        partial.write_bytes(msgspec.json.encode(kept))
        partial.replace(file)
        verdict = "passed" if gate.passed else "did not pass"
        self._on_progress(Progress(stage="gate", message=f"the candidate {verdict}", metrics=gate.candidate))
        for reason in gate.reasons:
            self._say("gate", reason)
        return gate, kept.live

    def _live(self) -> tuple[Ranker | None, str]:
        """The model that is served, None before the first; and why it can't be judged: one that can't be run is none
        that could be lost."""
        registry = self._request.registry
        version = registry.live(self._request.variant) or registry.newest()
        if version is None:
            return None, ""
        try:
            return Ranker(load_bundle(registry.fetch(version)), RankerConfig(threads=self._threads)), ""
        except (BundleError, VersionUnknown) as error:
            return None, f"not compared with the live version {version}, which can't be run here: {error}"

    def _refitted(
        self, trained: Trained, judged: Bundle, parts: Parts, gate: GateReport, folder: Path
    ) -> tuple[Bundle, Refit]:
        """The bundle to be published, and what the guard says."""
        request, config = self._request, self._request.refit
        assert config is not None
        whole = build_log(request.raw, min_support=request.min_support)
        newest = build_log(parts.newest, whole.vocabulary)
        before = Ranker(judged, RankerConfig(threads=self._threads))
        try:
            again = refit(
                self._preset,
                trained,
                self._chosen(whole),
                newest.thinned(self._preset.train.valid_sessions),
                config,
                run=self._name("refit"),
                directory=self._refit,
                judged=self._candidate,
                init_from=request.parent,
                on_progress=self._on_progress,
                items=features_of(self._items, whole.vocabulary),
            )
            bundle = self._export(again, whole, newest, folder, judged.manifest.afterwards)
            after: Ranker | NextclickError = Ranker(bundle, RankerConfig(threads=self._threads))
        except (TrainingError, ParityError) as error:
            bundle, after = judged, error
        sample = build_log(parts.newest).thinned(self._preset.train.valid_sessions)
        found = guarded(before, after, sample, gate.candidate[MAIN], config)
        if not found.refitted:
            self._say(
                "refit", f"warning: the weights that were judged are published, not the refitted ones: {found.why}"
            )
            return judged, found
        self._say("refit", f"lists have {found.overlap:.0%} of their items in common with the judged ones")
        return with_manifest(bundle, msgspec.structs.replace(bundle.manifest, valid=gate.candidate)), found

    def _card(
        self, judged: Bundle, trained: Trained, parts: Parts, gate: GateReport
    ) -> Callable[[Manifest], dict[str, Any]]:
        """What makes the card of what is published, once its manifest is known."""
        groups = measured(judged, parts.valid.thinned(_CARD_SESSIONS), self._threads).groups
        held_out = parts.valid.thinned(self._preset.train.valid_sessions)
        return functools.partial(
            model_card,
            learned=described(self._chosen(parts.log)),
            held_out=described(parts.valid),
            measured=Measured(figures=gate.candidate, sessions=held_out.sessions, groups=groups),
            curves=curves_of(trained.history),
            training=told_of(trained, None),
            min_support=self._request.min_support,
        )

    def _publish(
        self,
        bundle: Bundle,
        gate: GateReport,
        live: str,
        found: Refit | None,
        card: Callable[[Manifest], dict[str, Any]],
    ) -> CycleResult:
        request = self._request
        lineage = Lineage(
            code=code_version(),
            commit=commit(),
            cycle=request.cycle,
            mode=request.mode,
            parent=request.parent_version if request.parent is not None else "",
            live=live,
            window=request.window,
            gate=gate.to_json(),
            refit=found,
            seconds=self._seconds(),
        )
        manifest = msgspec.structs.replace(bundle.manifest, lineage=lineage, baselines=gate.baselines)
        bundle = with_manifest(bundle, manifest, cards_in=write_card(card(manifest), bundle.path))
        if not request.may_publish():
            raise LeadLost(f"cycle {request.cycle}: another trainer leads now, and nothing was published")
        version = request.registry.publish(bundle.path)
        self._say("publish", f"version {version} in {request.registry.url}")
        return self._result(version, gate, found)

    def _published_before(self, version: str) -> CycleResult:
        lineage = self._request.registry.manifest(version).lineage
        assert lineage is not None, "it was found by its lineage"
        gate = msgspec.convert(lineage.gate, GateReport, strict=False)
        return dataclasses.replace(self._result(version, gate, lineage.refit), seconds=lineage.seconds)

    def _removed_since(self, version: str) -> CycleResult:
        """It is over, whatever it had found: somebody wanted its version gone."""
        why = f"it had published version {version}, which was removed from the registry: it is not done again"
        return self._result(None, GateReport(passed=False, reasons=(why,), candidate={}, live=None), None)

    def _result(self, version: str | None, gate: GateReport, found: Refit | None) -> CycleResult:
        refitted = found is not None and found.refitted
        return CycleResult(
            version=version,
            gate=gate,
            checkpoints=None if version is None else self._refit if refitted else self._candidate,
            refitted=refitted,
            seconds=self._seconds(),
            why_not_refitted="" if found is None else found.why,
        )

    def _seconds(self) -> float:
        return round(time.monotonic() - self._began, 1)

    def _name(self, step: str) -> str:
        """Of a training, in its checkpoints: one of another cycle is refused."""
        return f"{self._request.cycle}/{step}"

    def _say(self, stage: str, text: str) -> None:
        self._on_progress(Progress(stage=stage, message=text))
