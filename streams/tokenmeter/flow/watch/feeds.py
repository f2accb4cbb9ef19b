"""What the watch reads of each topic."""

from __future__ import annotations

from tokenmeter.flow.watch import feed_billing, feed_market

FEEDS = {feed.topic: feed for feed in (feed_billing.FEED, feed_market.FEED)}
