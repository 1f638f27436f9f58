"""Every override of a Faust or aiokafka internal, each with its reason; tests/stream/faust/test_faust_seams.py fails
when one of the names they rely on changes.

    consumer.py    the fetch loop over raw record lists, seeking, committing, what a rebalance waits for
    thread.py      the thread of aiokafka's consumer: fetches, seeks, heartbeats, offsets
    pace.py        how soon the next fetch is asked for
    records.py     header names that are no UTF-8
    tables.py      recovery of the state from the changelog in the fetch loop
    app.py         how these are put into a Faust app
    security.py    TLS and SASL for aiokafka, out of the options that librdkafka has

What stays Faust's: membership of the group, the assignor that keeps clicks and changelog partitions together, the order
of a rebalance (revoke, assign, recover, resume), the table (empty: it stands for the changelog topic), the tree of
services.
"""
