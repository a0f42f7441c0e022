#!/usr/bin/env bash
# From an empty folder to the tagger and embedder that come with earsight, judged on five folds:
# renders sounds, pre-trains on them, goes on with the pre-training on every four of ESC-10's five
# folds, fine-tunes on the same four, judges on the fifth; and the same from random weights.
#
#   docs/tagger_from_nothing.sh WORK ESC10 [SETTING]
#
# WORK    folder to fill; a stopped run goes on where it was
# ESC10   folder of ESC-10, or of ESC-50, whose ten classes are taken
# SETTING small (default: the sizes of the weights in the package) or tiny (minutes)
#
# PRECISION (fp32; bf16 where the CPU has units for it), CLIPS, WORKERS and SEED in the environment
# change what they say.
set -euo pipefail

work=${1:?folder to fill} recordings=${2:?folder of ESC-10} setting=${3:-small}
clips=${CLIPS:-2000} workers=${WORKERS:-2} seed=${SEED:-1}
precision=(--set "precision=${PRECISION:-fp32}")
mkdir -p "$work"

step() {
    printf '\n== %s (at %d s)\n' "$1" "$SECONDS"
}

# train RUN WORDS...: trains into RUN, or goes on with what is there
train() {
    local run=$1 again=()
    shift
    [ -d "$run/model" ] && return
    [ -e "$run/recipe.json" ] && again=(--resume)
    step "$run"
    earsight train "$@" --run "$run" "${again[@]}" "${precision[@]}"
}

# epochs N: --set num_epochs=N, and tiny's own otherwise
epochs() {
    if [ "$setting" = small ]; then echo --set "num_epochs=$1"; fi
}

step "render and prepare"
hard=(--off-screen 0.1 --distractor 0.1 --late-entry 0.15 --two-sources 0.1 --noise 0.25)
earsight prepare foley-room --output "$work/room" --clips "$clips" --seed "$seed" \
    --workers "$workers" --features none "${hard[@]}"
earsight prepare "$recordings" --output "$work/recordings" --workers "$workers" --features none

# shellcheck disable=SC2046
train "$work/room_pretrained" "audiomae_pretrain.$setting" --data "$work/room" $(epochs 80)
for fold in 1 2 3 4 5; do
    # shellcheck disable=SC2046
    train "$work/pretrained/fold$fold" "audiomae_pretrain.$setting" --data "$work/recordings" \
        --fold "$fold" --set start="$work/room_pretrained/model" --set statistics=start \
        --set base_rate=2e-3 $(epochs 60)
done

step "fine-tune on every four folds, with and without pre-training"
again=()
[ -d "$work/tuned/fold1" ] && again=(--resume)
earsight train "audiomae_finetune.$setting" --data "$work/recordings" --folds --run "$work/tuned" \
    --set start="$work/pretrained/fold{fold}/model" --set statistics=start --set keep=last \
    "${precision[@]}" "${again[@]}"
again=()
[ -d "$work/scratch/fold1" ] && again=(--resume)
# shellcheck disable=SC2046
earsight train "audiomae_finetune.$setting" --data "$work/recordings" --folds --run "$work/scratch" \
    --set keep=last --set layer_decay=1 --set base_rate=8e-3 $(epochs 80) \
    "${precision[@]}" "${again[@]}"

step "judge every fold's network on its own fold"
earsight evaluate folds --model "$work/tuned/fold{fold}/model" --data "$work/recordings" \
    --output "$work/judged"

step "put tagger and masked autoencoder of fold 5 into one folder"
earsight weights join --tagger "$work/tuned/fold5/model" --masked "$work/pretrained/fold5/model" \
    --half --overwrite --output "$work/model"
printf '\n%s is ready: earsight tag SOUND --model %s\n' "$work/model" "$work/model"
