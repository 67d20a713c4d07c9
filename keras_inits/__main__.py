"""`python -m keras_inits` is `keras-inits`."""

from keras_inits._cli import main

main()
