#!/usr/bin/env bash
# From an empty folder to a judged model: renders the Foley Room, trains every stage, joins the
# networks, makes sounds for the test clips and judges them beside their controls.
#
#   docs/foley_room_from_nothing.sh WORK ESC10 [SETTING]
#
# WORK   folder to fill; a stopped run goes on where it was
# ESC10  folder of ESC-10, or of ESC-50, whose ten classes are taken
# SETTING foley_room (default: the sizes of the weights in the package) or tiny (minutes)
#
# CLIPS, TEST_CLIPS, BANK_CLIPS, WORKERS and SEED in the environment change numbers of clips,
# processes, seed.
set -euo pipefail

work=${1:?folder to fill} recordings=${2:?folder of ESC-10} setting=${3:-foley_room}
clips=${CLIPS:-2000} test_clips=${TEST_CLIPS:-600} bank_clips=${BANK_CLIPS:-400} workers=${WORKERS:-2} seed=${SEED:-1}
mkdir -p "$work"

step() {
    printf '\n== %s (at %d s)\n' "$1" "$SECONDS"
}

# train RECIPE DATA... : trains into WORK/RECIPE, or goes on with what is there
train() {
    local recipe=$1 run=$work/$1 again=()
    shift
    [ -d "$run/model" ] && return
    [ -e "$run/recipe.json" ] && again=(--resume)
    step "train $recipe"
    earsight train "$recipe.$setting" --run "$run" "${again[@]}" "$@"
}

step "render and prepare"
hard=(--off-screen 0.1 --distractor 0.1 --late-entry 0.15 --two-sources 0.1 --noise 0.25)
earsight prepare foley-room --output "$work/room" --clips "$clips" --test-clips "$test_clips" \
    --seed "$seed" --workers "$workers" "${hard[@]}"
earsight prepare foley-room --output "$work/bank" --clips "$bank_clips" --seed $((seed + 1)) \
    --workers "$workers" --bank "$recordings" --off-screen 0.1 --late-entry 0.15 --noise 0.1
earsight prepare "$recordings" --output "$work/recordings" --workers "$workers"

train foley_sight --data "$work/room"
train specvqgan_vggishish --data "$work/room" "$work/recordings"
distance=()
if [ "$setting" = foley_room ]; then distance=(--set "distance.network=$work/specvqgan_vggishish/model"); fi
train specvqgan_codebook --data "$work/room" "$work/recordings" "${distance[@]}"
train specvqgan_melgan --data "$work/room" "$work/recordings"
train specvqgan_melception --data "$work/room" "$work/recordings"

step "look at the clips with the trained tower"
for folder in room bank; do
    earsight prepare "$work/$folder" --output "$work/$folder" --workers "$workers" \
        --features motion,sight --sight "$work/foley_sight/model"
done

num_codes=$(sed -n 's/.*"num_codes": \([0-9]*\).*/\1/p' "$work/specvqgan_codebook/model/config.json")
train specvqgan_transformer --data "$work/room" "$work/bank" "$work/recordings" \
    --set codebook="$work/specvqgan_codebook/model" --set "model.num_codes=$num_codes"

step "join the networks"
earsight weights join --output "$work/model" --overwrite \
    --codebook "$work/specvqgan_codebook/model" \
    --transformer "$work/specvqgan_transformer/model" \
    --vocoder "$work/specvqgan_melgan/model" \
    --sight "$work/foley_sight/model" \
    --judge "$work/specvqgan_vggishish/model" \
    --ranker "$work/specvqgan_melception/model" \
    --top-p 0.95 --guidance 2 --prefer-griffin-lim

step "judge"
earsight evaluate foley_room --data "$work/room" --model "$work/model" --judge "$work/model" \
    --rank 4 --workers "$workers" --output "$work/judged"
earsight evaluate specvqgan --data "$work/room" --model "$work/model" --judge "$work/model" \
    --workers "$workers" --output "$work/distances"
