"""The demo: three projects with photographs that scikit-image and scikit-learn bring along."""
