#!/usr/bin/env bash
# Joins and unpacks what pack.mjs made, on a machine that has bash, coreutils, tar, and xz or python3:
#
#   bash unpack.sh TARGET [PIECES]
#
# PIECES is the folder of manifest.tsv and of any of its pieces; without it, the folder of this script. Pieces may come in several
# calls: what is there is checked and kept in TARGET, and every component whose pieces are complete is unpacked to TARGET/NAME.
# A component that is there already in the manifest's version is left alone.
# Exit code: 0 everything is unpacked, 3 pieces are missing (they are named), 1 a piece is damaged.
set -euo pipefail

target="${1:?usage: unpack.sh TARGET [PIECES]}"
pieces="${2:-$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)}"
kept="$target/.pieces"
manifest="$pieces/manifest.tsv"
[ -f "$manifest" ] || { echo "There is no $manifest." >&2; exit 1; }
mkdir -p "$kept"

sha256() { sha256sum "$1" | cut -d ' ' -f 1; }

decompress() {
  if command -v xz >/dev/null; then xz -dc -T0
  else python3 -c 'import lzma, shutil, sys; shutil.copyfileobj(lzma.open(sys.stdin.buffer), sys.stdout.buffer, 1 << 20)'
  fi
}

missing=()
damaged=()
while IFS=$'\t' read -r kind name sum bytes; do
  [ "$kind" = component ] || continue
  if [ -f "$target/$name/.sha256" ] && [ "$(cat "$target/$name/.sha256")" = "$sum" ]; then continue; fi
  files=()
  complete=yes
  while IFS=$'\t' read -r kind of file piece_sum _; do
    if [ "$kind" != piece ] || [ "$of" != "$name" ]; then continue; fi
    found=
    for place in "$kept/$file" "$pieces/$file"; do
      [ -f "$place" ] || continue
      if [ "$(sha256 "$place")" = "$piece_sum" ]; then found="$place"; break; fi
      if [ "$place" = "$kept/$file" ]; then rm "$place"; else damaged+=("$file"); fi
    done
    if [ -n "$found" ]; then files+=("$found"); else complete=; missing+=("$file"); fi
  done <"$manifest"
  if [ -z "$complete" ]; then
    for file in ${files[@]+"${files[@]}"}; do [ "$(dirname "$file")" = "$kept" ] || cp "$file" "$kept/"; done
    continue
  fi
  echo "Unpacking $name ($((bytes / 1048576)) MiB in ${#files[@]} pieces)"
  rm -rf "${target:?}/$name" "$target/.partial"
  mkdir "$target/.partial"
  cat "${files[@]}" | decompress | tar -x -C "$target/.partial" --no-same-owner
  echo "$sum" >"$target/.partial/$name/.sha256"
  mv "$target/.partial/$name" "$target/$name"
  rm -rf "$target/.partial"
  for file in "${files[@]}"; do rm -f "$kept/$(basename "$file")"; done
done <"$manifest"

if [ ${#damaged[@]} -gt 0 ]; then echo "Damaged, bring them again: ${damaged[*]}" >&2; exit 1; fi
if [ ${#missing[@]} -gt 0 ]; then echo "Still missing: ${missing[*]}"; exit 3; fi
echo "Everything is unpacked in $target."
