#!/bin/sh
# Posts a purchase of now:  post_event.sh CUSTOMER AMOUNT
# The same id again is the same event: curl may repeat the request when no answer comes.
set -eu
id="$(date -u +%s)-$$"
curl --fail-with-body --silent --show-error --retry 5 --retry-connrefused \
  "${TENURE_URL:-http://127.0.0.1:8001}/v1/events" \
  -H 'content-type: application/cloudevents+json' \
  -H "authorization: Bearer ${TENURE_API_KEY:-none}" \
  -d '{"specversion": "1.0", "type": "tenure.purchase", "source": "//shop.example",
       "id": "'"$id"'", "subject": "'"$1"'", "time": "'"$(date -u +%Y-%m-%dT%H:%M:%SZ)"'",
       "data": {"amount": '"$2"'}}'
