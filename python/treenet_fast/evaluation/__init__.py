"""Rate and distortion of image codecs, this one and its peers, on a folder of images.

- `metrics`: PSNR and MS-SSIM of a decoded image
- `codecs`, `float_network`: what is measured
- `curve`: a codec's rows, image by image and quality by quality, and their means
- `bd_rate`: two curves as one percentage
- `record`: the measurements as a JSON file that grows codec by codec
- `latents`, `latent_figures`: what each latent of an image shows and costs
- `complexity`: parameters and work of the network, beside the published ones

Importing these needs what the codec needs. The libraries of `pip install 'treenet-fast[eval]'` (and torch) are loaded
when a function first needs one; where it is missing, the error says what to install.
"""
