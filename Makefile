# Thin on purpose: each target is one script in .ci/. The times are those of 2 cores, after the crates are fetched.

.DEFAULT_GOAL := help
.PHONY: help doctor setup demo test firmware size cycles targets vectors model ct bench-proto bench-relay fuzz soak isolation mutants ws-conformance clean

help:
	@echo 'make demo      plays the whole job on a real database: 4 min to build once on 2 cores, then 6 s (KEEP=1 leaves it running)'
	@echo 'make test      the whole suite: 10 min once, then 3 min (ONLY=fmt, ONLY=test/av-relay, … a part of it)'
	@echo 'make doctor    what is missing on this machine and the line that cures it: 1 s'
	@echo 'make setup     installs what is missing, fetches the crates: 1 to 5 min once, then 1 s'
	@echo 'make firmware  two devices in one image on an emulated Cortex-M4: 1 min once, then 5 s'
	@echo 'make size      what one agent costs a Cortex-M4 in flash, RAM and stack: 2 min once, then 10 s'
	@echo 'make cycles    what a message costs a Cortex-M4 in time, estimated, beside its primitives: 2 min once, then 5 s'
	@echo 'make targets   av-proto for bare metal and browsers, each feature alone, without a heap'
	@echo 'make vectors   writes av-proto/vectors anew after a change of the protocol, for review: 1 min'
	@echo 'make model     attacks the protocol symbolically, and every variant of it that leaves something out: 2 min (Verifpal itself, once: 4 to 10 min)'
	@echo 'make ct        what secrets leave behind in time and memory, in the build that ships and at the level of firmware: 4 min once, then 1 min'
	@echo 'make bench-proto  av-proto beside its own primitives and other Double Ratchets, in both builds of Poly1305: 10 min once, then 1 min'
	@echo 'make bench-relay  the relay beside PostgreSQL alone and NATS JetStream, in turns (ONLY=single, ROUNDS=1, SECONDS_EACH=1)'
	@echo 'make fuzz      every decoder, ratchet, conversation and enrollment under libFuzzer: 15 min (SECONDS_EACH=10, ONLY=texts), needs a nightly'
	@echo 'make soak      devices on networks of every rudeness, 300 seeds each: 10 min (SEEDS=20, FIRST=1000, ONLY=RUDE)'
	@echo 'make isolation  the proof that tenants are apart, on PostgreSQL 15, 16, 17 and 18'
	@echo 'make mutants   breaks each wall between tenants and shows the test that fails: 8 min'
	@echo 'make ws-conformance  the relay as a WebSocket server under the cases of the Autobahn test suite: 1 min'
	@echo 'make clean     removes target/, which is all that the others write: 1 s'

doctor:
	@.ci/doctor

setup:
	@.ci/setup

demo:
	@.ci/demo

test:
	@.ci/test

firmware:
	@.ci/firmware

size:
	@.ci/size

cycles:
	@.ci/cycles

targets:
	@.ci/targets

vectors:
	@BLESS=1 cargo test -p av-proto --lib -- vectors:: golden::

model:
	@.ci/model

ct:
	@.ci/ct

bench-proto:
	@.ci/bench-proto

bench-relay:
	@.ci/bench-relay

fuzz:
	@.ci/fuzz

soak:
	@.ci/soak

isolation:
	@.ci/isolation

mutants:
	@.ci/mutants

ws-conformance:
	@.ci/ws-conformance

clean:
	rm -rf target
