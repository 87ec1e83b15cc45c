"""Search methods: best of many episodes, Monte-Carlo rollout, improvement search, rolling re-optimisation."""
