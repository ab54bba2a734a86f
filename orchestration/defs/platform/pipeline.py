"""Marts of what the platform measures of itself, every five minutes."""

from orchestration import marts, policy

platform_marts = marts.of("platform", "platform_marts", says="Minutes of requests, of waiting events and of being up.")
refresh_platform = marts.refreshed(
    platform_marts, "refresh_platform", every=policy.EVERY_FIVE_MINUTES,
    says="The platform's own figures follow every five minutes.",
)  # fmt: skip
