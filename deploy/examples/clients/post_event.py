"""Posts a purchase of now:  python post_event.py CUSTOMER AMOUNT.

Nothing is lost and nothing counts twice: when no answer comes, or one that says later, the same
event is sent again under the same id. It needs the package httpx.
"""

import os
import sys
import time
import uuid
from datetime import UTC, datetime

import httpx

URL = os.environ.get("TENURE_URL", "http://127.0.0.1:8001")
LATER = {408, 429, 500, 502, 503, 504}
ATTEMPTS = 10


def purchase(customer: str, amount: float) -> dict[str, object]:
    """Return the event; your own system has an id for it that stays the same."""
    return {
        "specversion": "1.0",
        "type": "tenure.purchase",
        "source": "//shop.example",
        "id": str(uuid.uuid4()),
        "subject": customer,
        "time": datetime.now(UTC).isoformat(),
        "data": {"amount": amount},
    }


def post(event: dict[str, object]) -> httpx.Response:
    """Send the event until it is accepted, or refused for good."""
    headers = {
        "content-type": "application/cloudevents+json",
        "authorization": f"Bearer {os.environ.get('TENURE_API_KEY', 'none')}",
    }
    for _ in range(ATTEMPTS):
        pause = 1.0
        try:
            answer = httpx.post(f"{URL}/v1/events", json=event, headers=headers)
            if answer.status_code not in LATER:
                return answer
            pause = float(answer.headers.get("retry-after", pause))
        except httpx.TransportError:
            pass  # perhaps it arrived: the id tells
        time.sleep(pause)
    sys.exit(f"{URL} takes nothing")


answer = post(purchase(sys.argv[1], float(sys.argv[2])))
print(answer.text)
sys.exit(not answer.is_success)
