#!/bin/sh
# Contex with the model that was installed beside it, unless another is named.
here=$(dirname "$(dirname "$(readlink -f "$0")")")
if [ -z "${CONTEX_MODEL_DIR:-}" ]; then
    CONTEX_MODEL_DIR=$here/share/contex/all-MiniLM-L6-v2
    export CONTEX_MODEL_DIR
fi
exec "$here/lib/contex/contex" "$@"
