#!/bin/sh
# The image's own test: what it would greet with. It runs before anything is pushed.
set -eu
test "$(sh "$(dirname "$0")/greet.sh" reader)" = "Hello, reader"
