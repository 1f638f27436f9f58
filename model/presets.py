"""Named models: `preset(name)` gives the composition a published model stands for, or one of our own.

`published` systems have their authors' configuration as default, with each departure named. All share this: items are
tied to the output, accidental hits (a negative that is the target) are masked, and positions, where there are any,
count from the session's start. Published ones are aligned to the window's right end, which tells a training position
how many clicks are still to come; serving does not know that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from export.errors import ConfigError
from model.after.config import AfterConfig
from model.config import Preset
from model.learn.config import LossConfig, NegativesConfig, TrainConfig
from model.nets.config import EncoderConfig

__all__ = [
    "PRESETS",
    "auto",
    "bert4rec",
    "comirec_sa",
    "feedback",
    "gru4rec",
    "gru4rec_bpr_max",
    "mtmi",
    "mtmi_anchored",
    "preset",
    "remi",
    "sasrec",
    "sasrec_ssm",
    "tron",
    "tron_fast",
    "tron_plus",
]


OWN = 16  # negatives of a session's own, beside the drawn ones


def tron() -> Preset:
    """Return TRON XL with its Yoochoose settings.

    Source: Wilm et al., "Scaling Session-Based Transformer Recommendations using Optimized Negative Sampling and Loss
    Functions", RecSys 2023, and otto-de/TRON, configs/tron/yoochoose.json: 2 pre-norm layers, 1 head, H = feed-forward
    = 200, ReLU, window 50, dropout 0.05, 16,384 uniform + 127 in-batch negatives of which the top 100 enter a sampled
    softmax, Adam 5e-4 constant, 128 sessions a batch, 10 epochs. Departures: float32 instead of float16, and one pool
    of 127 in-batch draws for the batch instead of one a session (a session's own are masked).
    Measured on Yoochoose's recent split, 1 epoch, seed 0, by prefix (Recall@20 / MRR@20): positions from the start
    .7291 / .3840 on validation and .7115 / .3661 on test, from the end .7297 / .3837 and .7107 / .3654. That is no
    difference beyond noise, and `start` lets validation encode each session once.
    """
    return Preset(
        name="tron",
        encoder=EncoderConfig(
            hidden=200, layers=2, heads=1, feed_forward=200, dropout=0.05, window=50, positions="start"
        ),
        negatives=NegativesConfig(uniform=16_384, in_batch=127, top=100),
        train=TrainConfig(epochs=10, batch=128, lr=5e-4),
    )


def sasrec() -> Preset:
    """Return SASRec as TRON's paper compares with it: binary cross-entropy against 1 uniform negative a position.

    Source: Kang & McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018, and otto-de/TRON,
    configs/standard/sasrec_yoochoose.json: TRON's encoder, Adam 1e-3, 128 sessions a batch, 10 epochs. Departure: a
    negative may be another item of the session (a chance of some clicks in the catalogue's size).
    """
    published = tron()
    return replace(
        published,
        name="sasrec",
        negatives=NegativesConfig(each=1),
        loss=LossConfig(objective="bce"),
        train=replace(published.train, lr=1e-3),
    )


def sasrec_ssm() -> Preset:
    """Return SASRec with sampled softmax: TRON without its choice of the top negatives.

    Source: Wilm et al., RecSys 2023, section 4.2, and otto-de/TRON, configs/experiment2/sasrec_yoochoose_ssm.json:
    8,192 uniform and 127 in-batch negatives, the rest as `tron`. Departure: the uniform ones are shared by the batch,
    where the published ones are drawn for each session.
    """
    return replace(tron(), name="sasrec-ssm", negatives=NegativesConfig(uniform=8_192, in_batch=127))


def gru4rec() -> Preset:
    """Return GRU4Rec+ in its cross-entropy form, with the sizes found best on Yoochoose.

    Source: Hidasi & Karatzoglou, "Recurrent Neural Networks with Top-k Gains for Session-based Recommendations", CIKM
    2018; GRU4Rec_PyTorch_Official, paramfiles/yoochoose_xe_shared_best.py: 480 units, dropout 0.2 on their output, tied
    items, batches of 48 whose targets are each other's negatives beside 2,048 by popularity^0.2, logQ correction,
    Adagrad 0.07, 10 epochs. Departures: 48 whole sessions with gradients through all of their clicks, instead of one
    click of each of 48 parallel sessions, and therefore 150 in-batch negatives, about as many as they have targets;
    those by popularity are distinct; no output bias. Without in-batch negatives the first epoch ends .004 lower
    (Recall@20 on Yoochoose's recent split, validation .7269 against .7304).
    """
    return Preset(
        name="gru4rec+",
        encoder=EncoderConfig(kind="gru", hidden=480, layers=1, dropout=0.2, input_dropout=0.0, window=50),
        negatives=NegativesConfig(popular=2_048, alpha=0.2, in_batch=150),
        loss=LossConfig(logq=True),
        train=TrainConfig(epochs=10, batch=48, rule="adagrad", lr=0.07),
    )


def gru4rec_bpr_max() -> Preset:
    """Return GRU4Rec+ in its BPR-max form, as TRON's paper compares with it.

    Source: as `gru4rec+`, and otto-de/TRON, configs/standard/gru4rec_yoochoose.json: 100 units, no dropout, 2,048
    uniform negatives, scores through ELU(0.5), regularisation 0.5, Adagrad 0.2, batches of 32, 3 epochs, window 200.
    Departures: as `gru4rec+`, and alpha 0.2 where that configuration draws uniformly.
    """
    return Preset(
        name="gru4rec+bpr-max",
        encoder=EncoderConfig(kind="gru", hidden=100, layers=1, dropout=0.0, window=200),
        negatives=NegativesConfig(popular=2_048, alpha=0.2),
        loss=LossConfig(objective="bpr-max", penalty=0.5, elu=0.5),
        train=TrainConfig(epochs=3, batch=32, rule="adagrad", lr=0.2, row=200),
    )


def bert4rec() -> Preset:
    """Return BERT4Rec with TRON's sizes and the loss of `sasrec-ssm`, so that what differs is the direction.

    Source: Sun et al., "BERT4Rec: Sequential Recommendation with Bidirectional Encoder Representations from
    Transformer", CIKM 2019: attention to both sides, items masked with probability 0.4 (its best for short sequences
    is 0.4 to 0.6), half of the sessions with the last item alone masked, a mask appended to find the next item.
    Departures: 1 head and H = 200 instead of 2 and 64, sampled softmax instead of a full one, pre-norm layers, ReLU.
    """
    published = tron()
    return replace(
        published,
        name="bert4rec",
        encoder=replace(published.encoder, masked=True),
        negatives=NegativesConfig(uniform=8_192, in_batch=127),
        loss=LossConfig(mask_share=0.4),
        train=replace(published.train, lr=1e-3),
    )


def tron_fast() -> Preset:
    """Return the shortest way to a good model: for demos, and for refreshes by the hour.

    Ours: TRON's encoder with one layer of 128; 2,048 distinct negatives by clicks^0.5 with logQ correction, an estimate
    of the full softmax in a quarter of its time; Adam at eight times TRON's rate, warmed up, brought to 0 by a cosine.
    docs/training.md has what was tried.
    """
    return Preset(
        name="tron-fast",
        encoder=EncoderConfig(hidden=128, layers=1, feed_forward=128, dropout=0.15, input_dropout=0.25, window=50),
        negatives=NegativesConfig(popular=2_048, alpha=0.5),
        loss=LossConfig(logq=True),
        train=TrainConfig(
            epochs=1.35,
            reference=200_000,
            min_epochs=1.35,
            min_steps=750,
            batch=232,
            lr=4e-3,
            schedule="cosine",
            warmup=50,
            validate_epochs=False,
            valid_sessions=10_000,
        ),
        after=AfterConfig(counts="auto"),
    )


def auto() -> Preset:
    """Return what `auto` begins with: what follows from the log and the time, model/auto/rules.py puts in.

    Ours: `tron-fast`'s encoder and negatives, whose rate stays while held-out sessions gain, and then is brought down
    (model/learn/length.py). docs/training.md has what was tried.
    """
    fast = tron_fast()
    return replace(
        fast,
        name="auto",
        train=replace(
            fast.train,
            schedule="stable",
            epochs=30,
            reference=0,
            min_epochs=0.0,
            min_steps=300,
            patience=2,
            first_items="together",
        ),
    )


def tron_plus() -> Preset:
    """Return the best lists we know to make: three encoders that rank together, trained longer with more dropout.

    Ours: two Transformers of one layer (SwiGLU; positions from the start, and rotary) and a GRU with a residual, each
    128 wide, so that one graph ranks with vectors of 384. TRON's loss over its best negatives, from as many items as
    fit (8,192 by clicks^0.5, the whole catalogue up to 32,768 in the last steps), in `tron-fast`'s schedule.
    docs/training.md has what was tried.
    """
    first = EncoderConfig(
        hidden=128, layers=1, feed_forward=128, activation="swiglu", dropout=0.15, input_dropout=0.3, window=50
    )
    return Preset(
        name="tron+",
        encoder=first,
        negatives=NegativesConfig(popular=8_192, popular_at_end=32_768, ending=0.3, alpha=0.5, top=200),
        train=TrainConfig(
            epochs=4, reference=200_000, min_epochs=2, min_steps=1_000, batch=232, lr=4e-3, schedule="cosine", warmup=50
        ),
        after=AfterConfig(counts="auto"),
        committee=(replace(first, kind="gru", residual=True), replace(first, positions="rotary")),
    )


def mtmi() -> Preset:
    """Return several interests a session, trained as they serve, with users and items in towers of their own.

    Source: the name and its three issues, "Multi-tower multi-interest with user-representation repel" (2022-2023), of
    which the abstract alone can be cited. All else is ours: `tron-fast`'s encoder and schedule; K = 4 interests by
    ComiRec's self-attentive pooling over the encoder's states, those of a position from the clicks up to it; an item's
    score is that of its best interest, for the target and for the negatives; interests that point the same way are
    kept apart by 0.1 * mean relu(cos)^2. With --items an item's vector comes from its attributes as well.
    docs/items-and-interests.md has where several interests pay.
    """
    fast = tron_fast()
    return replace(
        fast,
        name="mtmi",
        encoder=replace(fast.encoder, interests=4, interest_inner=128),
        loss=replace(fast.loss, choice="best", repel=0.1),
    )


def mtmi_anchored() -> Preset:
    """Return `mtmi` whose interests all have the newest click's state in them: better at the very next item.

    Ours: v_k = (A H)_k + h, h the state of the newest click. Pooling forgets which click was the last, which says most
    of what comes next; anchored, it does not, and its lists hold less of what else the shopper wants.
    docs/items-and-interests.md has both.
    """
    plain = mtmi()
    return replace(plain, name="mtmi-anchored", encoder=replace(plain.encoder, anchored=True))


def comirec_sa() -> Preset:
    """Return ComiRec-SA as published.

    Source: Cen et al., "Controllable Multi-Interest Framework for Recommendation", KDD 2020, and THUDM/ComiRec,
    src/model.py: no encoder, 64-wide item vectors pooled by W1 of 256 and K = 4, positions told to the attention alone,
    the target's best interest scores its negatives, sampled softmax against 10 negatives a session of a batch of 128,
    by popularity and with logQ, Adam 1e-3, window 50 (20 on its books). Departures: every position of a session is a
    target, where the published code draws one a step; negatives are distinct; 30 epochs, chosen on validation, instead
    of up to a million steps.
    """
    return Preset(
        name="comirec-sa",
        encoder=EncoderConfig(
            kind="clicked", hidden=64, layers=1, feed_forward=64, dropout=0.0, window=50, interests=4
        ),
        negatives=NegativesConfig(popular=1_280, alpha=1.0),
        loss=LossConfig(logq=True, choice="target"),
        train=TrainConfig(epochs=30, batch=128, lr=1e-3),
    )


def remi() -> Preset:
    """Return REMI: ComiRec-SA with interest-aware hard negatives and its routing penalty.

    Source: Xie et al., "Rethinking Multi-Interest Learning for Candidate Matching in Recommender Systems", RecSys 2023,
    and Tokkiu/REMI, src/REMI.py: beta 10 on books, 1 on Gowalla (ours), 0.1 on RetailRocket; lambda 100; 1,280 uniform
    negatives. Departures: as `comirec-sa`; its penalty, a sum over the batch, is the mean over positions times 128.
    """
    published = comirec_sa()
    return replace(
        published,
        name="remi",
        negatives=NegativesConfig(uniform=1_280),
        loss=LossConfig(choice="target", hard=1.0, routing=100.0),
    )


def feedback(published: Preset, *, inputs: bool = True, targets: bool = True) -> Preset:
    """Return a preset that learns from skips and dislikes too: as typed inputs, as negative targets, or as both.

    Source: Mei, Bembom & Ehmann, "Negative Feedback for Music Personalization", 2024. Own negatives join after `tron`
    has chosen its best drawn ones; with `sasrec` they stand beside its one drawn negative. Ours: 16 at most of a whole
    session, drawn anew in each step. docs/feedback.md has what was measured.
    """
    part = "" if inputs and targets else "-inputs" if inputs else "-targets"
    return replace(
        published,
        name=f"{published.name}-feedback{part}",
        encoder=replace(published.encoder, typed=inputs),
        negatives=replace(published.negatives, own=OWN if targets else 0),
    )


PRESETS: dict[str, Callable[[], Preset]] = {
    "auto": auto,
    "tron": tron,
    "tron+": tron_plus,
    "tron-fast": tron_fast,
    "sasrec": sasrec,
    "sasrec-ssm": sasrec_ssm,
    "gru4rec+": gru4rec,
    "gru4rec+bpr-max": gru4rec_bpr_max,
    "bert4rec": bert4rec,
    "mtmi": mtmi,
    "mtmi-anchored": mtmi_anchored,
    "comirec-sa": comirec_sa,
    "remi": remi,
    **{
        one.name: partial(feedback, published(), inputs=inputs, targets=targets)
        for published in (tron, sasrec)
        for inputs, targets in ((True, True), (True, False), (False, True))
        for one in (feedback(published(), inputs=inputs, targets=targets),)
    },
}


def preset(name: str) -> Preset:
    """Return the preset called `name`; raises ConfigError, naming those there are."""
    if name not in PRESETS:
        raise ConfigError(f"no preset is called {name!r}; there are: {', '.join(sorted(PRESETS))}")
    return PRESETS[name]()
