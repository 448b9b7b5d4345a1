"""Rate and distortion of image codecs, this one and its peers, on a folder of images.

- `metrics`, `nlpd`, `perceptual`: PSNR and MS-SSIM, NLPD, LPIPS and DISTS of a decoded image; `scores`: all by name
- `codecs`, `float_network`, `compressai_codec`: what is measured; `catalogue`: all by name
- `curve`: a codec's rows, image by image and quality by quality, and their means
- `bd_rate`: two curves as one percentage; `comparison`: tables of them, with the `published` ones, and of other things
- `record`: the measurements as a JSON file; `exports`: as others read them
- `workers`: measuring in processes
- `plots`, `figures`, `sheet`: curves, and crops side by side
- `command`: `treenet-fast eval`, which does all of this
- `latents`, `latent_figures`: what each latent of an image shows and costs
- `complexity`: parameters and work of the network, beside the published ones
- `report`: one page of all of these, `page` what it is built of; `table`, `markdown`, `text_table`: tables elsewhere

Importing these needs what the codec needs; `float_network`, `latents`, `complexity` and `report` need torch, too. The
libraries of `pip install 'treenet-fast[eval]'` are loaded when a function first needs one; where it is missing, the
error says what to install.
"""
