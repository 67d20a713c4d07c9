"""`python -m keras_inits` is `keras-inits`."""

from keras_inits.cli import main

main()
